# What cannot work, with what to write instead. What the program itself can tell is left to alknet check-config.
{ lib, config }:
let
  inherit (lib)
    concatMap
    concatStringsSep
    filterAttrs
    mapAttrsToList
    optional
    ;

  inStore = path: lib.hasPrefix builtins.storeDir (toString path);
  portOf = listen: lib.toInt (lib.last (lib.splitString ":" listen));
  enabledHandlers = node: filterAttrs (_: handler: handler.enable) node.handlers;

  # Secret files, by the options that name them.
  secretFiles =
    node:
    filterAttrs (_: path: path != null) (
      {
        "vault.passphraseFile" = node.vault.passphraseFile;
        "vault.seedFile" = node.vault.seedFile;
        "join.linkFile" = node.join.linkFile;
      }
      // lib.mapAttrs' (
        name: files: lib.nameValuePair "tls.certificates.${name}.key" files.key
      ) node.tls.certificates
      // lib.mapAttrs' (name: path: lib.nameValuePair "credentials.${name}" path) node.credentials
    );

  storeSecrets =
    { path, instance }:
    mapAttrsToList (option: file: {
      assertion = !inStore file;
      message = ''
        ${path}.${option} is ${toString file}, in the Nix store, where every user can read it. Write the path of a file that is put
        there outside of Nix, as text: ${path}.${option} = "/run/keys/alknet";'';
    }) (secretFiles instance);

  tokens =
    { path, instance }:
    concatMap (
      id:
      map (token: {
        assertion = builtins.match "[0-9a-f]{64}" token != null;
        message = ''
          ${path}.peers.${id}.token_sha256 has "${
            if lib.hasPrefix "alk_" token then "alk_…" else token
          }", which is no SHA-256. ${
            lib.optionalString (lib.hasPrefix "alk_" token)
              "It looks like the token itself, which is in the store now: revoke it. "
          }Write what this prints: printf %s TOKEN | sha256sum'';
      }) instance.peers.${id}.token_sha256
    ) (lib.attrNames instance.peers);

  sources =
    { path, instance }:
    let
      named =
        lib.attrNames (
          filterAttrs (_: value: value != null) {
            inherit (instance.vault) passphraseFile credential seedFile;
          }
        )
        ++ optional instance.vault.generate "generate";
    in
    {
      assertion = lib.length named == 1;
      message = ''
        ${path}.vault has ${
          if named == [ ] then
            "no source of the seed"
          else
            "${toString (lib.length named)} sources of the seed (${concatStringsSep ", " named})"
        }: set one of passphraseFile, credential, seedFile and generate.'';
    };

  alpns =
    { path, instance }:
    let
      claims = concatMap (
        name: map (alpn: { inherit alpn name; }) instance.handlers.${name}.alpns
      ) (lib.attrNames (enabledHandlers instance));
      twice = filterAttrs (_: claims: lib.length claims > 1) (lib.groupBy (claim: claim.alpn) claims);
    in
    mapAttrsToList (
      alpn: claims:
      let
        names = map (claim: claim.name) claims;
      in
      {
        assertion = false;
        message = ''
          ${path}.handlers: ${concatStringsSep " and " names} both serve the ALPN "${alpn}", and a connection has one handler. Disable
          one: ${path}.handlers.${lib.last names}.enable = false;'';
      }
    ) twice;

  ports =
    { path, instance }:
    map (
      listen:
      let
        port = portOf listen;
      in
      {
        assertion = port >= 1024 || port == instance.port;
        message = ''
          ${path}.settings.endpoint.listen has ${listen}, and the service may bind no port below 1024 but ${path}.port, which is ${toString instance.port}.
          Set ${path}.port = ${toString port};'';
      }
    ) instance.settings.endpoint.listen;

  engines =
    { path, instance }:
    mapAttrsToList (name: _: {
      assertion = !(instance.package ? handlers) || lib.elem name instance.package.handlers;
      message = ''
        ${path}.handlers.${name} is enabled, and ${path}.package (${instance.package.name}) was built without it: it has
        ${concatStringsSep ", " instance.package.handlers or [ ]}. Use a package with all handlers (pkgs.alknet), or set
        ${path}.handlers.${name}.enable = false;'';
    }) (enabledHandlers instance);

  certificates =
    { path, instance }:
    map (name: {
      assertion = config.security.acme.certs ? ${name};
      message = ''
        ${path}.tls.acmeHosts has "${name}", and security.acme has no such certificate. Add security.acme.certs."${name}" = { };'';
    }) instance.tls.acmeHosts;
in
{
  assertions =
    node:
    [ (sources node) ]
    ++ concatMap (check: check node) [
      storeSecrets
      tokens
      alpns
      ports
      engines
      certificates
    ];

  # What concerns several instances.
  together =
    nodes:
    let
      byPort = lib.groupBy (node: toString node.instance.port) nodes;
    in
    mapAttrsToList (port: nodes: {
      assertion = lib.length nodes == 1;
      message = ''
        ${concatStringsSep " and " (map (node: "${node.path}.port") nodes)} are all ${port}. Give each instance a port of its own.'';
    }) byPort;

  warnings =
    { path, instance }:
    optional (enabledHandlers instance == { })
      "${path} serves nothing: enable a handler, as in ${path}.handlers.call.enable = true;"
    ++
      optional
        (
          instance.handlers.tty.enable
          && (instance.handlers.tty.settings.commands or [ ]) == [ ]
        )
        "${path}.handlers.tty names no program that may be started: set ${path}.handlers.tty.settings.commands.";
}
