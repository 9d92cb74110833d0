# The installed appliance as a disk image, made without a virtual machine: what systemd-boot starts, and the partition of the state
# with the system's closure. It grows to the end of its disk when it boots.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  inherit (config.system.build) toplevel;
  efi = pkgs.stdenv.hostPlatform.efiArch;
  loader = "${config.systemd.package}/lib/systemd/boot/efi/systemd-boot${efi}.efi";
  kernel = "${config.system.build.kernel}/${config.system.boot.loader.kernelFile}";
  initrd = "${config.system.build.initialRamdisk}/${config.system.boot.loader.initrdFile}";

  # As the system itself writes the entry of its first generation.
  entry = pkgs.writeText "nixos-generation-1.conf" ''
    title NixOS
    sort-key nixos
    version Generation 1 ${config.system.nixos.label}
    linux /EFI/nixos/kernel.efi
    initrd /EFI/nixos/initrd.efi
    options init=${toplevel}/init ${toString config.boot.kernelParams}
  '';
  closure = pkgs.closureInfo { rootPaths = [ toplevel ]; };
in
{
  imports = [
    ./installed.nix
    "${modulesPath}/image/repart.nix"
  ];

  image.repart = {
    name = "alknet-appliance";
    partitions = {
      "10-esp" = {
        contents = {
          "/EFI/BOOT/BOOT${lib.toUpper efi}.EFI".source = loader;
          "/EFI/systemd/systemd-boot${efi}.efi".source = loader;
          "/EFI/nixos/kernel.efi".source = kernel;
          "/EFI/nixos/initrd.efi".source = initrd;
          "/loader/entries/nixos-generation-1.conf".source = entry;
          "/loader/loader.conf".source = pkgs.writeText "loader.conf" ''
            timeout ${toString config.boot.loader.timeout}
            default nixos-generation-1.conf
            editor no
          '';
        };
        repartConfig = {
          Type = "esp";
          Label = "ESP";
          Format = "vfat";
          SizeMinBytes = "512M";
        };
      };
      "20-state" = {
        storePaths = [ toplevel ];
        contents = {
          "/nix-path-registration".source = "${closure}/registration";
          # What is bound over /var has to be there.
          "/var/.alknet".source = pkgs.writeText "empty" "";
        };
        repartConfig = {
          Type = "linux-generic";
          Label = "alknet-state";
          Format = "ext4";
          Minimize = "guess";
        };
      };
    };
  };

  # What an installation does, the first boot of an image has to do: the store's paths become known to Nix, and the system a
  # generation of its profile.
  boot.postBootCommands = ''
    if [ -f /state/nix-path-registration ]; then
      ${config.nix.package}/bin/nix-store --load-db </state/nix-path-registration
      ${config.nix.package}/bin/nix-env --profile /nix/var/nix/profiles/system --set "$(readlink -f "$systemConfig")"
      rm /state/nix-path-registration
    fi
  '';
}
