# nix flake check: the package with its tests, lints, formatting, the module's cases, the committed documents, and every scenario
# in virtual machines.
{
  lib,
  nixpkgs,
  pkgs,
  self,
}:
let
  tests = import ./tests { inherit lib nixpkgs pkgs; };
  inherit (tests) evaluation;

  # Another command over the same sources and dependencies.
  cargo =
    name: tools: command:
    pkgs.alknet.overrideAttrs (old: {
      pname = "alknet-${name}";
      nativeBuildInputs = old.nativeBuildInputs ++ tools;
      buildPhase = command;
      doCheck = false;
      doInstallCheck = false;
      installPhase = "touch $out";
      postInstall = "";
      postFixup = "";
    });

  # A value that is known when this is evaluated, so that the check is right or wrong before anything is built.
  holds =
    name: problem:
    if problem == null then pkgs.runCommand "alknet-${name}" { } "touch $out" else throw problem;

  committed = lib.listToAttrs (
    map (file: lib.nameValuePair (lib.removeSuffix ".service" file) (builtins.readFile (./units + "/${file}"))) (
      lib.attrNames (builtins.readDir ./units)
    )
  );

  appliance = import ./tests/appliance.nix {
    inherit
      lib
      nixpkgs
      pkgs
      self
      ;
  };

  scenario =
    name: scenario:
    lib.nameValuePair "vm-${name}" (
      import ./tests/scenario.nix {
        inherit
          lib
          pkgs
          name
          scenario
          ;
      }
    );
in
{
  package = pkgs.alknet;
  call = pkgs.alknet-call;
  http = pkgs.alknet-http;
  tty = pkgs.alknet-tty;

  clippy = cargo "clippy" [ pkgs.clippy ] "cargo clippy --offline --workspace --all-targets -- -D warnings";
  fmt = cargo "fmt" [ pkgs.rustfmt ] "cargo fmt --all --check";

  module = holds "module" (
    if evaluation.cases.failures == [ ] then
      null
    else
      "the module does not do this: ${lib.concatStringsSep "; " evaluation.cases.failures}"
  );
  units = holds "units" (
    if evaluation.units == committed then
      null
    else
      "the units in nixos/units are not those of the module: run nixos/tests/evaluate --write"
  );
  options = holds "options" (
    if evaluation.options == builtins.readFile ../docs/nixos-options.md then
      null
    else
      "docs/nixos-options.md is not what the module says: run nixos/tests/evaluate --write"
  );
  confinement = import ./tests/confinement.nix { inherit lib pkgs; };

  vm-iso = appliance.iso;
  vm-image = appliance.image;
  vm-identity = import ./tests/identity.nix { inherit lib pkgs; };
}
// lib.mapAttrs' scenario tests.scenarios
