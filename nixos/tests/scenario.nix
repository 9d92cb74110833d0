# A fleet scenario in virtual machines: the same script that vm-tests/run runs.
{
  lib,
  pkgs,
  name,
  scenario,
}:
pkgs.testers.runNixOSTest {
  inherit name;
  nodes = lib.mapAttrs (_: modules: {
    imports = [
      ../module.nix
      ./machine.nix
    ]
    ++ modules;
    services.alknet.package = pkgs.alknet;
  }) scenario.hosts;
  # The scripts name the machines, and `Machine` is the driver's.
  skipTypeCheck = true;
  skipLint = true;
  testScript =
    builtins.readFile ../../vm-tests/prelude.py + builtins.readFile (scenario.folder + "/test.py");
}
