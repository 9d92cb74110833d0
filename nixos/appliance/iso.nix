# A CD (or USB stick) that boots to a node, and puts the appliance on a disk. What it makes is in memory and gone at the next boot.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  install = pkgs.writeShellApplication {
    name = "alknet-install";
    runtimeInputs = [
      config.nix.package
      pkgs.coreutils
      pkgs.dosfstools
      pkgs.e2fsprogs
      pkgs.gptfdisk
      pkgs.nixos-install-tools
      pkgs.systemd
      pkgs.util-linux
    ];
    text = ''
      system=''${1:?usage: alknet-install DISK}
      set -- ${toString config.appliance.installs} "$system"
    ''
    + builtins.readFile ./install.sh;
  };
in
{
  imports = [ "${modulesPath}/installer/cd-dvd/iso-image.nix" ];

  isoImage = {
    makeEfiBootable = true;
    makeUsbBootable = true;
    volumeID = "ALKNET";
    storeContents = lib.optional (config.appliance.installs != null) config.appliance.installs;
  };
  environment.systemPackages = [ install ];
  # There is no older system to go back to.
  appliance.update.enable = false;
}
