# A node that joins another by a one-time link, when it starts for the first time: for machines that are made by others.
{ lib, pkgs }:
node:
let
  service = "${node.unit}-join";
  arguments = [
    "--config"
    "/etc/${node.unit}/alknet.toml"
  ]
  ++ lib.concatMap (scope: [
    "--scope"
    scope
  ]) node.join.scopes
  ++ lib.optionals (node.join.as != null) [
    "--as"
    node.join.as
  ];
in
lib.mkIf (node.join.linkFile != null) {
  ${service} = {
    description = "joining of the alknet node";
    wantedBy = [ "multi-user.target" ];
    requires = [ "${node.unit}.service" ];
    wants = [ "network-online.target" ];
    after = [
      "${node.unit}.service"
      "network-online.target"
    ];
    # A link is good once, so this is done once.
    unitConfig.ConditionPathExists = "!/var/lib/${service}/joined";
    serviceConfig = {
      Type = "oneshot";
      Restart = "on-failure";
      RestartSec = 10;
      StateDirectory = service;
      StateDirectoryMode = "0700";
      LoadCredential = "link:${toString node.join.linkFile}";
      ProtectSystem = "strict";
      # The other node is written down by the running node, or where it does not run, in its state.
      ReadWritePaths = [ "-/var/lib/private/${node.unit}" ];
      PrivateTmp = true;
    };
    script = ''
      ${lib.getExe node.package} join "$CREDENTIALS_DIRECTORY/link" ${lib.escapeShellArgs arguments}
      touch "$STATE_DIRECTORY/joined"
    '';
  };
}
