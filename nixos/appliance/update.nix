# Updates: a whole system as a closure from a binary cache. Nix checks its signature, the next boot tries it, and a system that
# does not come up as a node is not booted again.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.appliance.update;
  tool =
    name:
    pkgs.writeShellApplication {
      inherit name;
      runtimeInputs = [
        config.nix.package
        config.services.alknet.package
        config.systemd.package
        pkgs.coreutils
        pkgs.curl
        pkgs.gawk
      ];
      text = builtins.readFile (./. + "/${name}.sh");
    };
  update = tool "alknet-update";
  confirm = tool "alknet-confirm";
in
{
  options.appliance.update = {
    enable = mkOption {
      description = "Whether the appliance can be updated.";
      type = types.bool;
      default = true;
    };
    cache = mkOption {
      description = ''
        The binary cache that new systems come from. Any that Nix can read does (`https://`, `file://`, `s3://`); that of another
        node is to have its place here.
      '';
      type = types.nullOr types.str;
      default = null;
      example = "https://cache.example";
    };
    publicKeys = mkOption {
      description = "The keys, one of which has to have signed a system. Without one nothing is taken.";
      type = types.listOf types.str;
      default = [ ];
      example = [ "cache.example-1:…" ];
    };
    channel = mkOption {
      description = "An address that answers with the store path of the newest system.";
      type = types.nullOr types.str;
      default = null;
      example = "https://cache.example/alknet-appliance-x86_64-linux";
    };
    schedule = mkOption {
      description = "When the channel is asked, as a calendar event of systemd; `null` for never. A new system is booted at once.";
      type = types.nullOr types.str;
      default = null;
      example = "Sun 03:00";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.cache == null || cfg.publicKeys != [ ];
        message = "appliance.update.cache is set and appliance.update.publicKeys is empty, so nothing of it would be taken. Name the cache's key.";
      }
      {
        assertion = cfg.schedule == null || cfg.channel != null;
        message = "appliance.update.schedule is set and appliance.update.channel is not: name the address that says which system is the newest.";
      }
    ];

    nix.settings = {
      substituters = lib.mkForce (lib.optional (cfg.cache != null) cfg.cache);
      trusted-public-keys = lib.mkForce cfg.publicKeys;
      require-sigs = true;
      allowed-users = [ "root" ];
    };

    environment.systemPackages = [ update ];

    systemd.services.alknet-update = {
      description = "update of the appliance";
      environment = {
        ALKNET_CACHE = lib.mkIf (cfg.cache != null) cfg.cache;
        ALKNET_CHANNEL = lib.mkIf (cfg.channel != null) cfg.channel;
      };
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${lib.getExe update} --reboot";
      };
      startAt = lib.mkIf (cfg.schedule != null) cfg.schedule;
    };

    # A new system is the default only after it has shown that it is a node.
    systemd.services.alknet-confirm = {
      description = "confirmation of an update";
      wantedBy = [ "multi-user.target" ];
      after = [ "alknet.service" ];
      unitConfig.ConditionPathExists = "/var/lib/alknet-update/trial";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = lib.getExe confirm;
      };
    };
  };
}
