# The service of a node.
{
  lib,
  pkgs,
  host,
  configFile,
}:
node:
let
  inherit (node) unit vault;
  known = import ../handlers.nix { inherit pkgs; };
  isPrivileged = node.port < 1024;
  enabledHandlers = lib.attrNames (lib.filterAttrs (_: handler: handler.enable) node.handlers);
  capability = lib.optional isPrivileged "CAP_NET_BIND_SERVICE";

  # What a reload does not apply (docs/configuration.md).
  onlyAtStart = {
    inherit (node.settings) vault;
    node = node.settings.node;
    endpoint = removeAttrs node.settings.endpoint [
      "certificates"
      "drain_timeout_seconds"
    ];
  };

  credentials =
    lib.mapAttrs' (name: files: lib.nameValuePair "${name}.key" files.key) node.tls.certificates
    // node.credentials
    // lib.optionalAttrs (vault.passphraseFile != null) { passphrase = vault.passphraseFile; }
    // lib.optionalAttrs (vault.seedFile != null) { seed = vault.seedFile; };
  encrypted =
    if vault.generate then
      "/var/lib/${unit}-identity/seed.cred"
    else
      vault.credential;
in
{
  description = "alknet node";
  documentation = [ "man:alknet(1)" ];
  wantedBy = [ "multi-user.target" ];
  wants = [ "network-online.target" ];
  requires = lib.mkIf vault.generate [ "${unit}-identity.service" ];
  after = [
    "network-online.target"
  ]
  ++ lib.optional vault.generate "${unit}-identity.service"
  ++ map (name: "acme-${name}.service") node.tls.acmeHosts;

  reloadTriggers = [ (configFile node) ];
  restartTriggers = [ (builtins.hashString "sha256" (builtins.toJSON onlyAtStart)) ];
  # A restart takes a moment this way; else the node would be away for as long as the switch takes.
  stopIfChanged = false;

  environment.ALKNET_LOG = node.log;

  serviceConfig = lib.mkMerge (
    [
      {
        Type = "notify";
        ExecStart = "${lib.getExe node.package} serve --config /etc/${unit}/alknet.toml";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        WatchdogSec = 30;
        Restart = "on-failure";
        RestartSec = 2;
        # An error in the configuration does not go away by itself.
        RestartPreventExitStatus = 2;
        # A file for each TCP connection, and some more.
        LimitNOFILE = 65536;
        # endpoint.drain_timeout_seconds, and some time to close.
        TimeoutStopSec = (node.settings.endpoint.drain_timeout_seconds or 10) + 20;

        DynamicUser = true;
        StateDirectory = unit;
        StateDirectoryMode = "0700";
        UMask = "0077";
        LoadCredential = lib.mkIf (credentials != { }) (
          lib.mapAttrsToList (name: file: "${name}:${toString file}") credentials
        );
        LoadCredentialEncrypted = lib.mkIf (encrypted != null) "seed:${toString encrypted}";
        SupplementaryGroups = lib.mkIf (node.tls.acmeHosts != [ ]) (
          lib.unique (map (name: host.security.acme.certs.${name}.group) node.tls.acmeHosts)
        );
      }
      (import ./confinement.nix { inherit capability isPrivileged; })
    ]
    ++ map (name: known.${name}.service or { }) enabledHandlers
  );
}
