# The options of a node.
{
  lib,
  pkgs,
  host,
}:
{ config, ... }:
let
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };
  known = import ../handlers.nix { inherit pkgs; };

  handler = {
    options = {
      enable = mkOption {
        description = "Whether the node serves the handler.";
        type = types.bool;
        default = false;
      };
      settings = mkOption {
        description = "The keys of its section, as in docs/configuration.md.";
        type = types.submodule { freeformType = toml.type; };
        default = { };
        example = lib.literalExpression ''{ decoy.imitate = "nginx"; }'';
      };
      alpns = mkOption {
        description = ''
          The ALPNs that it serves. Those of the handlers that come with alknet are given; one of a package of your own
          says here which it adds.
        '';
        type = types.listOf types.str;
        readOnly = true;
      };
    };
  };
in
{
  imports = [
    (import ./peers.nix { inherit lib toml; })
    (import ./secrets.nix { inherit lib host; })
    (import ./settings.nix { inherit lib toml; })
  ];

  options = {
    enable = lib.mkEnableOption "this alknet node";

    package = mkOption {
      description = "The alknet to run. `alknet-call`, `alknet-http` and `alknet-tty` have fewer handlers.";
      type = types.package;
      default = pkgs.alknet or (pkgs.callPackage ../package.nix { });
      defaultText = lib.literalExpression "pkgs.alknet";
    };

    unit = mkOption {
      description = "What the service, the folder in `/etc` and the one in `/var/lib` are called.";
      type = types.str;
      internal = true;
    };

    port = mkOption {
      description = "The one port: UDP for QUIC, TCP for TLS.";
      type = types.port;
      default = 443;
    };

    openFirewall = mkOption {
      description = "Whether the firewall lets the port in, UDP and TCP.";
      type = types.bool;
      default = false;
    };

    log = mkOption {
      description = "What is logged, as `ALKNET_LOG`: a level, or levels by module.";
      type = types.str;
      default = "info";
      example = "info,alknet_call=debug";
    };

    checkConfig = mkOption {
      description = "Whether the build checks the configuration with `alknet check-config`.";
      type = types.bool;
      default = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
      defaultText = lib.literalMD "`true`, unless the package is cross-compiled";
    };

    handlers = mkOption {
      description = ''
        What the node serves, by the name of its section. There are ${
          lib.concatStringsSep ", " (
            lib.mapAttrsToList (name: handler: "`${name}` (${handler.description})") known
          )
        }.
      '';
      type = types.attrsOf (types.submodule handler);
      default = { };
      example = lib.literalExpression "{ tty.enable = true; }";
    };
  };

  config.handlers = lib.mapAttrs (_: handler: {
    inherit (handler) alpns;
    enable = lib.mkDefault handler.enable;
    settings = lib.mapAttrs (_: lib.mkDefault) handler.settings;
  }) known;
}
