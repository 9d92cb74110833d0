# What the node has that nobody else may read. Only names of files outside of the store stand in here.
{ lib, host }:
{ config, ... }:
let
  inherit (lib) mkOption types;
  inherit (config) vault;

  secretFile = types.nullOr types.path;
  certificates =
    lib.mapAttrsToList (name: files: {
      inherit (files) certificate;
      key = "${name}.key";
    }) config.tls.certificates
    ++ map (
      name:
      let
        folder = host.security.acme.certs.${name}.directory;
      in
      {
        certificate = "${folder}/fullchain.pem";
        key = "${folder}/key.pem";
      }
    ) config.tls.acmeHosts;
  certificate = {
    options = {
      certificate = mkOption {
        description = "The chain, in PEM, where the service can read it.";
        type = types.path;
        example = "/etc/ssl/hub.example.pem";
      };
      key = mkOption {
        description = "The key, in PEM. The service manager reads it, so root alone needs to be able to.";
        type = types.path;
        example = "/etc/ssl/private/hub.example.key";
      };
    };
  };
in
{
  options = {
    vault.passphraseFile = mkOption {
      description = ''
        A file whose first line opens the seed that `alknet init --passphrase-file` has sealed in the state folder.
      '';
      type = secretFile;
      default = null;
      example = "/run/keys/alknet";
    };

    vault.credential = mkOption {
      description = ''
        The seed as an encrypted credential, bound to the machine's TPM or to its credential secret: made with
        `alknet init --seed-credential /run/seed` and `systemd-creds encrypt --name=seed /run/seed seed.cred`. As nobody
        else can decrypt it, it may stand in the store.
      '';
      type = secretFile;
      default = null;
      example = "/var/lib/secrets/seed.cred";
    };

    vault.seedFile = mkOption {
      description = "A file with the seed itself: the words, or 128 hexadecimal digits.";
      type = secretFile;
      default = null;
      example = "/run/keys/alknet-seed";
    };

    vault.generate = mkOption {
      description = ''
        Whether the first start makes an identity: a seed and its words, encrypted for this machine, in
        `/var/lib/alknet-identity`. Write the words down (`systemd-creds decrypt --name=words
        /var/lib/alknet-identity/words.cred -`) and remove that file.
      '';
      type = types.bool;
      default = vault.passphraseFile == null && vault.credential == null && vault.seedFile == null;
      defaultText = lib.literalMD "`true`, unless another source of the seed is named";
    };

    credentials = mkOption {
      description = "Further secret files, by the names under which the settings refer to them.";
      type = types.attrsOf types.path;
      default = { };
      example = {
        "client.key" = "/run/keys/client.key";
      };
    };

    tls.certificates = mkOption {
      description = "Certificates of domains, for clients that know the node by name. All others see the node's own key.";
      type = types.attrsOf (types.submodule certificate);
      default = { };
    };

    tls.acmeHosts = mkOption {
      description = "Names in `security.acme.certs` whose certificates are shown. A renewal takes effect without a restart.";
      type = types.listOf types.str;
      default = [ ];
      example = [ "hub.example" ];
    };
  };

  config.settings = {
    vault =
      if vault.passphraseFile != null then
        { passphrase_file = "passphrase"; }
      else
        { seed_file = "seed"; };
    endpoint.certificates = lib.mkIf (certificates != [ ]) certificates;
  };
}
