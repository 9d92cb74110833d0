# Who may come, and what of other nodes and services is offered here.
{ lib, toml }:
{ ... }:
let
  inherit (lib) mkOption types;

  fingerprint = types.strMatching "ed25519:[0-9a-f]{64}|SHA256:[0-9a-f]{64}|ssh:SHA256:[A-Za-z0-9+/]{43}";
  scopes = types.listOf (types.strMatching "[a-z][a-z0-9-]*:([a-z][a-z0-9-]*|[*])");
  address = types.nullOr (types.strMatching ".+:[0-9]+");

  peer = {
    options = {
      enabled = mkOption {
        description = "A peer that is not enabled is nobody, and loses its open connections.";
        type = types.bool;
        default = true;
      };
      fingerprints = mkOption {
        description = "Its keys, as `alknet id` prints them there.";
        type = types.listOf fingerprint;
        default = [ ];
      };
      token_sha256 = mkOption {
        description = "SHA-256 of its bearer tokens (`alknet token new`), one or several. A token itself has no place here.";
        type = types.coercedTo types.str lib.singleton (types.listOf types.str);
        default = [ ];
      };
      scopes = mkOption {
        description = "What it may do.";
        type = scopes;
        default = [ ];
        example = [
          "tty:*"
          "node:admin"
        ];
      };
      resources = mkOption {
        description = "On which named things, by resource type.";
        type = types.attrsOf (types.listOf types.str);
        default = { };
        example = {
          repo = [ "site" ];
        };
      };
      address = mkOption {
        description = "Where this node dials it; without one it is not dialed.";
        type = address;
        default = null;
        example = "alice.example:443";
      };
      connect = mkOption {
        description = "Whether this node stays connected with it, so that it can call this node where nobody could dial it.";
        type = types.bool;
        default = false;
      };
    };
  };

  spoke = {
    options = {
      fingerprint = mkOption {
        description = "Its key.";
        type = fingerprint;
      };
      address = mkOption {
        description = "Where it is dialed. Without one it has to stay connected with this node (`connect` there).";
        type = address;
        default = null;
      };
      operations = mkOption {
        description = "Patterns of the operations that are offered here.";
        type = types.listOf types.str;
        default = [ "**" ];
        example = [ "tty/*" ];
      };
      prefix = mkOption {
        description = "What stands before the names of its operations here; its id if `null`.";
        type = types.nullOr types.str;
        default = null;
      };
      required_scopes = mkOption {
        description = "What a caller needs here; if `null`, what the spoke's own descriptions ask for.";
        type = types.nullOr scopes;
        default = null;
        example = [ "tty:use" ];
      };
    };
  };

  service = {
    freeformType = toml.type;
    options = {
      from = mkOption {
        description = "What it is described in, or `mcp` for an MCP server, which tells what it has itself.";
        type = types.enum [
          "openapi"
          "mcp"
        ];
        default = "openapi";
      };
      spec = mkOption {
        description = "Its description in OpenAPI: a file, or an `https://` address.";
        type = types.nullOr (types.either types.path types.str);
        default = null;
      };
      url = mkOption {
        description = "Where the MCP server is: an `https://` address, or one of this machine.";
        type = types.nullOr types.str;
        default = null;
        example = "https://shop.example/mcp";
      };
      operations = mkOption {
        description = "Which of its operations, by the names that `alknet import list` shows.";
        type = types.listOf types.str;
      };
    };
  };
in
{
  options = {
    peers = mkOption {
      description = ''
        Who may come, and whom this node dials, by stable ids that survive a change of keys. The keys are those of `[[peers]]`.
      '';
      type = types.attrsOf (types.submodule peer);
      default = { };
    };

    hub.spokes = mkOption {
      description = ''
        Nodes whose operations are offered here, each with a prefix of its own. A spoke is a peer of this node, too: more about
        it can be said in `peers.<id>`.
      '';
      type = types.attrsOf (types.submodule spoke);
      default = { };
      example = lib.literalExpression ''
        { worker-a = { fingerprint = "ed25519:…"; operations = [ "tty/*" ]; required_scopes = [ "tty:use" ]; }; }
      '';
    };

    hub.reexport = mkOption {
      description = "The entries of `[[hub.reexport]]`, for what `hub.spokes` cannot say.";
      type = types.listOf (types.submodule { freeformType = toml.type; });
      default = [ ];
    };

    join.linkFile = mkOption {
      description = ''
        A file with the link that `alknet invite` printed at another node, outside of the store. The first start joins that node:
        it knows this one from then on, and this one stays connected with it.
      '';
      type = types.nullOr types.path;
      default = null;
      example = "/run/keys/hub-link";
    };

    join.scopes = mkOption {
      description = "What the joined node may do here.";
      type = scopes;
      default = [ ];
      example = [ "tty:*" ];
    };

    join.as = mkOption {
      description = "What the joined node is called here; by its own name if `null`.";
      type = types.nullOr types.str;
      default = null;
      example = "hub";
    };

    import = mkOption {
      description = "Services that are no nodes, whose operations are callable here. The keys are those of `[[import]]`.";
      type = types.attrsOf (types.submodule service);
      default = { };
      example = lib.literalExpression ''
        { github = { spec = ./github.yaml; operations = [ "issues/*" ]; credential = "github"; }; }
      '';
    };
  };
}
