# services.alknet: one node, or several on one host.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  cfg = config.services.alknet;
  instance = import ./module/instance.nix {
    inherit lib pkgs;
    host = config;
  };

  # The host's name, where it has one (a container may have none), as a DNS label.
  hostName = name: if name == "" then "node" else lib.toLower name;

  # Where its options stand, and what its unit is called.
  named = name: instance: {
    inherit instance;
    path = if name == null then "services.alknet" else "services.alknet.instances.${name}";
  };
  all = [ (named null cfg) ] ++ lib.mapAttrsToList named cfg.instances;
  enabled = lib.filter (node: node.instance.enable) all;
  each = make: map (node: make node.instance) enabled;

  configFile = import ./module/config-file.nix { inherit lib pkgs; };
  unit = import ./module/unit.nix {
    inherit lib pkgs configFile;
    host = config;
  };
  identity = import ./module/identity.nix { inherit lib pkgs; };
  join = import ./module/join.nix { inherit lib pkgs; };
  checks = import ./module/assertions.nix { inherit lib config; };
in
{
  options.services.alknet = mkOption {
    description = "alknet: one port for every service, one identity for every peer.";
    default = { };
    type = types.submodule [
      instance
      {
        config.unit = "alknet";
        config.settings.node.name = lib.mkDefault (hostName config.networking.hostName);
        options.instances = mkOption {
          description = ''
            Further nodes on this host, each with an identity, a port and a state of its own. They have the options of
            `services.alknet`; the unit of the instance `lab` is `alknet-lab.service`, its configuration is in
            `/etc/alknet-lab`, and its state in `/var/lib/alknet-lab`.
          '';
          default = { };
          example = lib.literalExpression "{ lab = { enable = true; port = 4433; }; }";
          visible = "shallow";
          type = types.attrsOf (
            types.submodule [
              instance
              (
                { name, ... }:
                {
                  config.unit = "alknet-${name}";
                  config.package = lib.mkDefault cfg.package;
                  config.settings.node.name = lib.mkDefault name;
                }
              )
            ]
          );
        };
      }
    ];
  };

  config = lib.mkIf (enabled != [ ]) {
    assertions = lib.concatMap checks.assertions enabled ++ checks.together enabled;
    warnings = lib.concatMap checks.warnings enabled;

    environment.systemPackages = lib.unique (each (node: node.package));
    environment.etc = lib.mkMerge (
      each (node: { "${node.unit}/alknet.toml".source = configFile node; })
    );

    systemd.services = lib.mkMerge (
      each (node: { ${node.unit} = unit node; }) ++ each identity ++ each join
    );

    networking.firewall = lib.mkMerge (
      each (
        node:
        lib.mkIf node.openFirewall {
          allowedTCPPorts = [ node.port ];
          allowedUDPPorts = [ node.port ];
        }
      )
    );

    # What QUIC has on its way between the kernel and the node; the node asks for as much. The highest value of a host counts.
    boot.kernel.sysctl = {
      "net.core.rmem_max" = 7500000;
      "net.core.wmem_max" = 7500000;
    };
  };
}
