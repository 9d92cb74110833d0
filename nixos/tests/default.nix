# What can be said of the module without building anything, and what is built or run of it.
{
  lib,
  nixpkgs,
  pkgs,
}:
let
  # A host with nothing but what evaluation asks for, and some modules.
  evaluate =
    modules:
    nixpkgs.lib.nixosSystem {
      system = pkgs.stdenv.hostPlatform.system;
      modules = [
        ../module.nix
        {
          nixpkgs.pkgs = pkgs;
          fileSystems."/" = {
            device = "/dev/vda";
            fsType = "ext4";
          };
          boot.loader.grub.enable = false;
          system.stateVersion = "26.05";
          documentation.enable = lib.mkDefault false;
        }
      ]
      ++ modules;
    };

  folder = ../../vm-tests;
  isScenario = name: kind: kind == "directory" && builtins.pathExists (folder + "/${name}/fleet.toml");
  names = lib.attrNames (lib.filterAttrs isScenario (builtins.readDir folder));
  scenarios = lib.genAttrs names (
    name:
    import ./fleet.nix {
      inherit lib;
      nextPackage = pkgs.runCommand "alknet-next" { inherit (pkgs.alknet) meta; } "cp -r ${pkgs.alknet} $out";
    } (folder + "/${name}")
  );
in
rec {
  inherit evaluate scenarios;

  options = import ./options.nix { inherit lib pkgs evaluate; };

  evaluation = {
    cases = import ./cases.nix { inherit lib evaluate; };
    units = import ./units.nix {
      inherit lib evaluate;
      scenarios = lib.attrValues scenarios;
    };
    options = options.text;
  };
}
