# The handlers that the program has. Each says its ALPNs, what stands in its section unless the host says otherwise, and what its
# service needs from the host beyond the unit of ./module/unit.nix. A handler takes nothing from the unit's confinement for the others.
{ pkgs }:
{
  call = {
    description = "the call protocol: operations between nodes, in both directions";
    alpns = [ "alknet/call" ];
    enable = true;
    settings = { };
    service = { };
  };

  http = {
    description = "HTTP: operations, server-sent events, OpenAPI and metrics for whoever has a token, and a decoy for all others";
    alpns = [
      "h2"
      "http/1.1"
    ];
    enable = true;
    settings = { };
    service = { };
  };

  tty = {
    description = "terminals that outlive a connection";
    alpns = [ "alknet/tty" ];
    enable = false;
    settings = {
      commands = [ "${pkgs.bashInteractive}/bin/bash" ];
      path = "/run/wrappers/bin:/run/current-system/sw/bin";
    };
    service = { };
  };
}
