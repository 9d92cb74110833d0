# The appliance in virtual machines with UEFI: the CD boots to a node and installs itself; what it has installed, and the image, boot
# to a node that keeps its identity.
{
  lib,
  nixpkgs,
  pkgs,
  self,
}:
let
  platform = pkgs.stdenv.hostPlatform.system;
  systems = (import ../appliance/systems.nix { inherit self nixpkgs; }).make [
    "${nixpkgs}/nixos/modules/testing/test-instrumentation.nix"
  ];
  qemu = (import "${nixpkgs}/nixos/lib/qemu-common.nix" { inherit lib pkgs; }).qemuBinary pkgs.qemu_test;
  command =
    more:
    lib.concatStringsSep " " (
      [
        qemu
        "-m 2048"
        "-netdev user,id=net0"
        "-device virtio-net-pci,netdev=net0"
        "-drive if=pflash,format=raw,unit=0,readonly=on,file=${pkgs.OVMF.firmware}"
        # The boot loader writes down what it is to boot.
        "-drive if=pflash,format=raw,unit=1,file=variables.fd"
      ]
      ++ more
    );
  disk = "-drive if=virtio,format=raw,file=disk.raw";

  test =
    name: prepare: script:
    pkgs.testers.runNixOSTest {
      inherit name;
      nodes = { };
      skipTypeCheck = true;
      skipLint = true;
      testScript = ''
        import os
        import shutil
        import subprocess

        shutil.copy("${pkgs.OVMF.variables}", "variables.fd")
        os.chmod("variables.fd", 0o644)
        ${prepare}
      ''
      + builtins.readFile ./appliance.py
      + script;
    };
  grown = size: ''subprocess.run(["${pkgs.qemu_test}/bin/qemu-img", "resize", "-f", "raw", "disk.raw", "${size}"], check=True)'';
in
{
  iso =
    test "appliance-iso"
      ''
        subprocess.run(["${pkgs.qemu_test}/bin/qemu-img", "create", "-f", "raw", "disk.raw", "8G"], check=True)
        live = create_machine("${
          command [
            "-cdrom $(echo ${(systems.live platform).config.system.build.isoImage}/iso/*.iso)"
            disk
          ]
        }")
        installed = create_machine("${command [ disk ]}")
      ''
      ''
        with subtest("the CD boots to a node"):
            live.start()
            is_node(live)

        with subtest("it installs itself"):
            live.fail("echo /dev/vda | alknet-install /dev/nothing")
            live.fail("echo /dev/vdb | alknet-install /dev/vda")
            live.succeed("echo /dev/vda | alknet-install /dev/vda")
            live.shutdown()

        is_appliance(installed)
      '';

  image =
    test "appliance-image"
      ''
        shutil.copyfile(${
          builtins.toJSON "${(systems.disk platform).config.system.build.image}/alknet-appliance.raw"
        }, "disk.raw")
        os.chmod("disk.raw", 0o644)
        ${grown "8G"}
        installed = create_machine("${command [ disk ]}")
      ''
      ''
        is_appliance(installed)
      '';
}
