# alknet.toml, checked by the program that will read it.
{ lib, pkgs }:
node:
let
  toml = (pkgs.formats.toml { }).generate "alknet.toml" node.settings;
  checked =
    pkgs.runCommand "alknet.toml"
      {
        passthru.value = node.settings;
        preferLocalBuild = true;
      }
      ''
        ${lib.getExe node.package} check-config ${toml}
        cp ${toml} $out
      '';
in
if node.checkConfig then checked else toml
