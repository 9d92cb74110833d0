# The first start makes an identity: a seed that only this machine can decrypt, and its words, to be written down.
{ lib, pkgs }:
node:
let
  service = "${node.unit}-identity";
in
lib.mkIf node.vault.generate {
  ${service} = {
    description = "identity of the alknet node";
    before = [ "${node.unit}.service" ];
    unitConfig.ConditionPathExists = "!/var/lib/${service}/seed.cred";
    path = [
      node.package
      pkgs.jq
      # The one that runs here: credentials are encrypted for it.
      "/run/current-system/systemd"
    ];
    serviceConfig = {
      Type = "oneshot";
      StateDirectory = service;
      StateDirectoryMode = "0700";
      # In memory, and gone when this ends.
      RuntimeDirectory = service;
      RuntimeDirectoryMode = "0700";
      UMask = "0077";
      PrivateNetwork = true;
      PrivateTmp = true;
      ProtectHome = true;
      ProtectSystem = "strict";
      # The secret of the machine that credentials are encrypted with, where there is no TPM, is made if need be.
      ReadWritePaths = [ "-/var/lib/systemd" ];
    };
    script = builtins.readFile ./make-identity.sh;
    environment.NODE_NAME = node.settings.node.name;
  };
}
