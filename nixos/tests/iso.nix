# The CD boots to a node: it has an identity, the port is open, the console shows the way in.
{
  lib,
  pkgs,
  self,
}:
pkgs.testers.runNixOSTest {
  name = "iso";
  nodes.visitor = {
    imports = [
      ../module.nix
      ./machine.nix
    ];
    services.alknet.enable = true;
    services.alknet.package = pkgs.alknet;
  };
  nodes.live =
    { config, modulesPath, ... }:
    {
      imports = [ "${modulesPath}/virtualisation/qemu-vm.nix" ];
      # The machine is the CD and nothing else; what is configured here is not looked at.
      virtualisation.useBootLoader = false;
      virtualisation.memorySize = 1536;
      virtualisation.directBoot.enable = false;
      virtualisation.qemu.options = [
        "-cdrom ${self.packages.${pkgs.stdenv.hostPlatform.system}.iso}/iso/*.iso"
        "-boot d"
      ];
    };
  skipTypeCheck = true;
  skipLint = true;
  testScript = ''
    start_all()
    visitor.wait_for_unit("alknet.service")
    # The CD has no test instrumentation, so it is looked at from outside, as a user's laptop does.
    with subtest("the CD boots to a node"):
        visitor.wait_until_succeeds("curl -sSk https://live/healthz | grep ok", timeout=600)
        visitor.succeed("openssl s_client -connect live:443 -alpn alknet/call </dev/null | grep 'ALPN protocol: alknet/call'")
  '';
}
