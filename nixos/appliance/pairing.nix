# Until somebody has paired, the console has a code for it: whoever reads it first is the owner.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config) appliance;
  pairing = pkgs.writeShellApplication {
    name = "alknet-pairing";
    runtimeInputs = [
      config.services.alknet.package
      pkgs.coreutils
      pkgs.iproute2
      pkgs.jq
    ];
    text = builtins.readFile ./alknet-pairing.sh;
  };
in
{
  systemd.services.alknet-pairing = {
    description = "pairing code of the appliance";
    wantedBy = [ "multi-user.target" ];
    requires = [ "alknet.service" ];
    # The code has the machine's address in it.
    wants = [ "network-online.target" ];
    after = [
      "alknet.service"
      "network-online.target"
    ];
    serviceConfig = {
      Type = "oneshot";
      ExecStart = "${lib.getExe pairing} ${
        lib.escapeShellArgs (
          [
            appliance.owner
            (toString config.services.alknet.port)
          ]
          ++ appliance.ownerScopes
        )
      }";
      RuntimeDirectory = "alknet-pairing";
      RuntimeDirectoryMode = "0700";
      RuntimeDirectoryPreserve = true;
    };
  };
}
