# The first console: who this node is, how to pair with it, and what can be done without a network.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  console = pkgs.writeShellApplication {
    name = "alknet-console";
    runtimeInputs = [
      config.services.alknet.package
      config.systemd.package
      pkgs.coreutils
      pkgs.iproute2
      pkgs.jq
      pkgs.ncurses
      pkgs.util-linux
    ];
    text = builtins.readFile ./console.sh;
  };
in
{
  environment.systemPackages = [ console ];
  # A font with half blocks, in which a code of 45 modules fits on the screen.
  console.earlySetup = true;

  systemd.services.alknet-console = {
    description = "console of the appliance";
    wantedBy = [ "multi-user.target" ];
    after = [
      "alknet.service"
      "alknet-pairing.service"
      "getty.target"
    ];
    conflicts = [ "getty@tty1.service" ];
    environment = {
      TERM = "linux";
      ALKNET_OWNER = config.appliance.owner;
      ALKNET_INSTALLS = lib.mkIf (config.appliance.installs != null) (toString config.appliance.installs);
    };
    serviceConfig = {
      ExecStart = lib.getExe console;
      Restart = "always";
      RestartSec = 1;
      StandardInput = "tty-force";
      StandardOutput = "tty";
      StandardError = "journal";
      TTYPath = "/dev/tty1";
      TTYReset = true;
      TTYVHangup = true;
      TTYVTDisallocate = true;
    };
  };
}
