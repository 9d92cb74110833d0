# The first start makes an identity, and it is the same after every other start.
{ lib, pkgs }:
pkgs.testers.runNixOSTest {
  name = "identity";
  nodes.machine = {
    imports = [
      ../module.nix
      ./machine.nix
    ];
    services.alknet = {
      enable = true;
      package = pkgs.alknet;
      instances.lab.enable = true;
      instances.lab.port = 4433;
    };
  };
  skipTypeCheck = true;
  skipLint = true;
  testScript = builtins.readFile ./identity.py;
}
