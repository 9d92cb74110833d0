# alknet.toml, as a value. What other options say is put in here, so that this is all that the node reads.
{ lib, toml }:
{ config, name, ... }:
let
  inherit (lib) mkOption types;

  withoutNulls = lib.filterAttrs (_: value: value != null);
  inherit (config.hub) spokes;

  reexport =
    id: spoke:
    withoutNulls {
      peer = id;
      inherit (spoke) operations;
      prefix = if spoke.prefix == null then id else spoke.prefix;
      inherit (spoke) required_scopes;
    };

  # What the program takes for granted need not be said.
  peerDefaults = {
    fingerprints = [ ];
    token_sha256 = [ ];
    scopes = [ ];
    resources = { };
    address = null;
    connect = false;
    enabled = true;
  };
  entry = id: peer: { inherit id; } // lib.filterAttrs (key: value: value != peerDefaults.${key}) peer;
in
{
  options.settings = mkOption {
    description = ''
      The node's configuration: the sections and keys of docs/configuration.md. The other options here are put into it, and
      anything that they do not cover can be said directly.
    '';
    default = { };
    example = lib.literalExpression "{ endpoint.limits.max_connections = 512; }";
    type = types.submodule {
      freeformType = toml.type;
      options = {
        node.name = mkOption {
          description = "What the node is called, also in the fleet's DNS zone: a DNS label.";
          type = types.strMatching "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
          defaultText = lib.literalMD "the name of the host, or of the instance";
        };
        node.state_dir = mkOption {
          description = "Where the node keeps its state.";
          type = types.path;
          defaultText = lib.literalExpression ''"/var/lib/alknet"'';
        };
        endpoint.listen = mkOption {
          description = "The addresses that it listens on, each on UDP and TCP.";
          type = types.listOf (types.strMatching ".+:[0-9]+");
          defaultText = lib.literalExpression ''[ "[::]:443" ]'';
        };
      };
    };
  };

  config = {
    # A spoke is a peer.
    peers = lib.mapAttrs (_: spoke: {
      fingerprints = [ spoke.fingerprint ];
      address = lib.mkIf (spoke.address != null) spoke.address;
    }) spokes;

    settings = lib.mkMerge [
      {
        node.state_dir = lib.mkDefault "/var/lib/${config.unit}";
        endpoint.listen = lib.mkDefault [ "[::]:${toString config.port}" ];
        peers = lib.mkIf (config.peers != { }) (lib.mapAttrsToList entry config.peers);
        import = lib.mkIf (config.import != { }) (
          lib.mapAttrsToList (name: service: { inherit name; } // withoutNulls service) config.import
        );
      }
      (lib.mkIf (spokes != { } || config.hub.reexport != [ ]) {
        hub.reexport = lib.mapAttrsToList reexport spokes ++ config.hub.reexport;
      })
      (lib.mapAttrs (_: handler: { inherit (handler) enable; } // handler.settings) (
        lib.filterAttrs (_: handler: handler.enable) config.handlers
      ))
    ];
  };
}
