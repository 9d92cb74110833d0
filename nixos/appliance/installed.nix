# An appliance on a disk: a boot partition, and one partition for everything that stays. The root file system is in memory and
# read-only, so what is not state is what the system's closure says, at every boot.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  bind = folder: {
    device = "/state/${folder}";
    fsType = "none";
    options = [ "bind" ];
    depends = [ "/state" ];
    neededForBoot = true;
  };
in
{
  fileSystems = {
    "/" = {
      device = "tmpfs";
      fsType = "tmpfs";
      options = [
        "mode=755"
        "size=256M"
      ];
    };
    "/boot" = {
      device = "/dev/disk/by-partlabel/ESP";
      fsType = "vfat";
      options = [ "umask=0077" ];
    };
    "/state" = {
      device = "/dev/disk/by-partlabel/alknet-state";
      fsType = "ext4";
      options = [ "noatime" ];
      neededForBoot = true;
    };
    "/nix" = bind "nix";
    "/var" = bind "var";
  };
  boot.tmp.useTmpfs = true;

  boot.loader.systemd-boot = {
    enable = true;
    # Nobody at the keyboard changes what is booted.
    editor = false;
    configurationLimit = 3;
  };
  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "sd_mod"
    "uas"
    "usb_storage"
    "virtio_blk"
    "virtio_pci"
    "virtio_scsi"
    "xhci_pci"
  ];

  # The machine's id stays, or its journal would begin anew at every boot.
  system.activationScripts.machineId = lib.stringAfter [ "etc" ] ''
    if [ ! -s /state/machine-id ]; then
      ${config.systemd.package}/bin/systemd-machine-id-setup
      cp /etc/machine-id /state/machine-id
    fi
    install -m 444 /state/machine-id /etc/machine-id
  '';

  # The image is as small as what it holds.
  systemd.services.grow-state = {
    description = "growth of the state's partition to the end of its disk";
    wantedBy = [ "multi-user.target" ];
    path = [
      pkgs.e2fsprogs
      pkgs.gptfdisk
      pkgs.util-linux
    ];
    serviceConfig.Type = "oneshot";
    script = builtins.readFile ./grow-state.sh;
    scriptArgs = "/state";
  };

  systemd.services.read-only-root = {
    description = "read-only root file system";
    wantedBy = [ "multi-user.target" ];
    after = [
      "local-fs.target"
      "systemd-tmpfiles-setup.service"
    ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "${pkgs.util-linux}/bin/mount -o remount,ro /";
      ExecStop = "${pkgs.util-linux}/bin/mount -o remount,rw /";
    };
  };
}
