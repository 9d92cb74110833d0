# A machine that is a node and nothing else. What an installed one and one from a CD have in common.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [
    ../module.nix
    ./console.nix
    ./pairing.nix
    ./update.nix
  ];

  options.appliance = {
    owner = lib.mkOption {
      description = "The id of the peer that pairs by the code on the console.";
      type = lib.types.str;
      default = "owner";
    };
    ownerScopes = lib.mkOption {
      description = "What whoever pairs by the code on the console may do. Whoever can read the console owns the machine.";
      type = lib.types.listOf lib.types.str;
      default = [
        "node:admin"
        "metrics:read"
        "dashboard:use"
      ]
      ++ lib.optional config.services.alknet.handlers.tty.enable "tty:*";
      defaultText = lib.literalMD "`node:admin`, `metrics:read`, `dashboard:use`, and with terminals `tty:*`";
    };
    serial = lib.mkOption {
      description = "Grows with every release: an update to a smaller one is refused.";
      type = lib.types.ints.unsigned;
      default = 0;
    };
    installs = lib.mkOption {
      description = "The system that the installer puts on a disk.";
      type = lib.types.nullOr lib.types.package;
      default = null;
      internal = true;
    };
  };

  config = {
    services.alknet = {
      enable = true;
      openFirewall = true;
    };

    networking.hostName = lib.mkDefault "alknet";
    networking.useNetworkd = true;
    networking.useDHCP = lib.mkDefault true;
    # alknet.local, in a network without a name server of its own.
    services.resolved.enable = true;
    networking.firewall.allowedUDPPorts = [ 5353 ];
    systemd.network.networks."80-mdns" = {
      matchConfig.Name = "en* eth*";
      networkConfig = {
        DHCP = "yes";
        MulticastDNS = "yes";
      };
    };
    # A node without a network is still one that can be set up.
    systemd.network.wait-online.anyInterface = true;
    systemd.network.wait-online.timeout = 20;

    # Nobody logs in: the console is ./console.nix, and everything else goes through the node.
    users.mutableUsers = false;
    users.allowNoPasswordLogin = true;
    users.users.root.hashedPassword = "!";
    services.getty.autologinUser = lib.mkForce null;
    systemd.services."getty@".enable = false;
    systemd.services."autovt@".enable = false;
    security.sudo.enable = false;

    # Small, and the same on every machine.
    documentation.enable = lib.mkForce false;
    environment.defaultPackages = lib.mkForce [ ];
    programs.command-not-found.enable = false;
    xdg.mime.enable = false;
    hardware.enableRedistributableFirmware = lib.mkDefault true;
    boot.loader.timeout = lib.mkDefault 3;
    system.stateVersion = "26.05";

    # What an update looks at before it takes a system for an appliance (./update.sh).
    environment.etc."alknet-appliance".text = ''
      system=${pkgs.stdenv.hostPlatform.system}
      serial=${toString config.appliance.serial}
    '';
  };
}
