# What the module has to do, case by case. The value is the list of the cases that are not as they should be.
{ lib, evaluate }:
let
  key = letter: "ed25519:${lib.concatStrings (lib.genList (_: letter) 64)}";
  host = options: (evaluate [ { services.alknet = { enable = true; } // options; } ]).config;
  settings = options: (host options).services.alknet.settings;
  service = options: (host options).systemd.services.alknet;
  failed = config: map (check: check.message) (lib.filter (check: !check.assertion) config.assertions);

  # An error of a configuration, by words of its message; one that is wrong in another way, too, is no example of it.
  refused =
    words: config:
    let
      messages = failed config;
    in
    lib.length messages == 1 && lib.all (word: lib.hasInfix word (lib.head messages)) words;

  lean = {
    type = "derivation";
    name = "alknet-http-0";
    outPath = "/lean";
    meta.mainProgram = "alknet";
    handlers = [
      "call"
      "http"
    ];
  };
  renewed = {
    security.acme.acceptTerms = true;
    security.acme.defaults.email = "root@hub.example";
    security.acme.certs."hub.example".webroot = "/var/www";
  };

  cases = {
    "a host without it has nothing of it" =
      let
        config = (evaluate [ ]).config;
      in
      !(config.systemd.services ? alknet) && !(config.environment.etc ? "alknet/alknet.toml");

    "enable alone is a node on 443 with an identity of its own" =
      let
        config = host { };
      in
      failed config == [ ]
      && config.warnings == [ ]
      && config.services.alknet.settings.endpoint.listen == [ "[::]:443" ]
      && config.systemd.services ? alknet-identity
      && config.services.alknet.settings.call.enable
      && config.services.alknet.settings.http.enable
      && !(config.services.alknet.settings ? tty);

    "the firewall lets in both protocols, and nothing unasked" =
      let
        open = (host { openFirewall = true; }).networking.firewall;
        shut = (host { }).networking.firewall;
      in
      open.allowedTCPPorts == [ 443 ]
      && open.allowedUDPPorts == [ 443 ]
      && shut.allowedTCPPorts == [ ]
      && shut.allowedUDPPorts == [ ];

    "the kernel has room for QUIC, and more if somebody else asks for more" =
      let
        more = evaluate [
          {
            services.alknet.enable = true;
            boot.kernel.sysctl."net.core.rmem_max" = 10000000;
          }
        ];
      in
      more.config.boot.kernel.sysctl."net.core.rmem_max" == 10000000
      && more.config.boot.kernel.sysctl."net.core.wmem_max" == 7500000;

    "a port below 1024 is the only reason for a capability" =
      let
        low = (service { }).serviceConfig;
        high = (service { port = 4433; }).serviceConfig;
      in
      low.AmbientCapabilities == [ "CAP_NET_BIND_SERVICE" ]
      && low.CapabilityBoundingSet == [ "CAP_NET_BIND_SERVICE" ]
      && !low.PrivateUsers
      && high.AmbientCapabilities == ""
      && high.CapabilityBoundingSet == ""
      && high.PrivateUsers;

    "peers are entries by their ids" =
      (settings {
        peers.alice = {
          fingerprints = [ (key "a") ];
          token_sha256 = "4b70e324be3349d38505b0374a1f16f4fb376e0344b383c1cae12ee4a2235fb6";
          scopes = [ "tty:*" ];
          resources.repo = [ "site" ];
        };
        peers.bob.enabled = false;
      }).peers == [
        {
          id = "alice";
          fingerprints = [ (key "a") ];
          token_sha256 = [ "4b70e324be3349d38505b0374a1f16f4fb376e0344b383c1cae12ee4a2235fb6" ];
          scopes = [ "tty:*" ];
          resources.repo = [ "site" ];
        }
        {
          id = "bob";
          enabled = false;
        }
      ];

    "a spoke is a peer and an export" =
      let
        written = settings {
          hub.spokes.worker = {
            fingerprint = key "b";
            operations = [ "tty/*" ];
            required_scopes = [ "tty:use" ];
          };
          peers.worker.scopes = [ "call:forward" ];
          hub.reexport = [
            {
              peer = "worker";
              operations = [ "node/*" ];
              prefix = "w";
            }
          ];
        };
      in
      written.peers == [
        {
          id = "worker";
          fingerprints = [ (key "b") ];
          scopes = [ "call:forward" ];
        }
      ]
      && written.hub.reexport == [
        {
          peer = "worker";
          operations = [ "tty/*" ];
          prefix = "worker";
          required_scopes = [ "tty:use" ];
        }
        {
          peer = "worker";
          operations = [ "node/*" ];
          prefix = "w";
        }
      ];

    "an import is an entry by its name" =
      (settings {
        import.github = {
          spec = "https://github.example/openapi.json";
          operations = [ "issues/*" ];
          credential = "github";
        };
      }).import == [
        {
          name = "github";
          from = "openapi";
          spec = "https://github.example/openapi.json";
          operations = [ "issues/*" ];
          credential = "github";
        }
      ];

    "an import from an MCP server has an address and no description" =
      (settings {
        import.shop = {
          from = "mcp";
          url = "https://shop.example/mcp";
          operations = [ "list_*" ];
          credential = "shop";
          credentials_for.alice = "alices-shop";
        };
      }).import == [
        {
          name = "shop";
          from = "mcp";
          url = "https://shop.example/mcp";
          operations = [ "list_*" ];
          credential = "shop";
          credentials_for.alice = "alices-shop";
        }
      ];

    "a handler's ALPNs can be asked for, and its settings are its section" =
      let
        config = (host {
          handlers.http.settings.decoy.imitate = "nginx";
          handlers.call.enable = false;
        }).services.alknet;
      in
      config.handlers.http.alpns == [
        "h2"
        "http/1.1"
      ]
      && config.handlers.tty.alpns == [ "alknet/tty" ]
      && config.settings.http == {
        enable = true;
        decoy.imitate = "nginx";
      }
      && !(config.settings ? call);

    "settings that no option covers are settings" =
      (settings { settings.endpoint.limits.max_connections = 512; }).endpoint.limits.max_connections == 512;

    "a passphrase, a credential and a seed each come as a credential" =
      let
        passphrase = service { vault.passphraseFile = "/run/keys/alknet"; };
        credential = service { vault.credential = "/var/lib/secrets/seed.cred"; };
        seed = service { vault.seedFile = "/run/keys/seed"; };
      in
      passphrase.serviceConfig.LoadCredential == [ "passphrase:/run/keys/alknet" ]
      && credential.serviceConfig.LoadCredentialEncrypted == "seed:/var/lib/secrets/seed.cred"
      && seed.serviceConfig.LoadCredential == [ "seed:/run/keys/seed" ]
      && (settings { vault.passphraseFile = "/run/keys/alknet"; }).vault == { passphrase_file = "passphrase"; }
      && (settings { vault.seedFile = "/run/keys/seed"; }).vault == { seed_file = "seed"; };

    "an encrypted credential may stand in the store, which a secret may not" =
      failed (host { vault.credential = "${builtins.storeDir}/x-seed.cred"; }) == [ ];

    "a certificate's key comes as a credential" =
      let
        options.tls.certificates."hub.example" = {
          certificate = "/etc/ssl/hub.pem";
          key = "/etc/ssl/private/hub.key";
        };
      in
      (settings options).endpoint.certificates == [
        {
          certificate = "/etc/ssl/hub.pem";
          key = "hub.example.key";
        }
      ]
      && (service options).serviceConfig.LoadCredential == [ "hub.example.key:/etc/ssl/private/hub.key" ];

    "a renewed certificate is read where it is" =
      let
        config =
          (evaluate [
            renewed
            {
              services.alknet.enable = true;
              services.alknet.tls.acmeHosts = [ "hub.example" ];
            }
          ]).config;
      in
      failed config == [ ]
      && config.services.alknet.settings.endpoint.certificates == [
        {
          certificate = "/var/lib/acme/hub.example/fullchain.pem";
          key = "/var/lib/acme/hub.example/key.pem";
        }
      ]
      && config.systemd.services.alknet.serviceConfig.SupplementaryGroups == [ "acme" ];

    "what a reload applies does not restart the node" =
      let
        before = service { };
        reloaded = service { peers.alice.fingerprints = [ (key "a") ]; };
        restarted = service { port = 8443; };
      in
      before.restartTriggers == reloaded.restartTriggers
      && before.reloadTriggers != reloaded.reloadTriggers
      && before.restartTriggers != restarted.restartTriggers;

    "several nodes live on one host" =
      let
        config = host {
          instances.lab = {
            enable = true;
            port = 4433;
            openFirewall = true;
          };
          instances.off.port = 4433;
        };
        lab = config.systemd.services.alknet-lab;
      in
      failed config == [ ]
      && config.services.alknet.instances.lab.settings.node == {
        name = "lab";
        state_dir = "/var/lib/alknet-lab";
      }
      && lib.hasSuffix "serve --config /etc/alknet-lab/alknet.toml" lab.serviceConfig.ExecStart
      && lab.serviceConfig.StateDirectory == "alknet-lab"
      && lab.serviceConfig.LoadCredentialEncrypted == "seed:/var/lib/alknet-lab-identity/seed.cred"
      && config.environment.etc ? "alknet-lab/alknet.toml"
      && !(config.systemd.services ? alknet-off)
      && config.networking.firewall.allowedUDPPorts == [ 4433 ];

    "an instance can be the only one" =
      let
        config =
          (evaluate [
            {
              services.alknet.instances.lab.enable = true;
            }
          ]).config;
      in
      failed config == [ ] && !(config.systemd.services ? alknet) && config.systemd.services ? alknet-lab;

    "a node joins another once, with a link that is no argument" =
      let
        join =
          (host {
            join.linkFile = "/run/keys/hub-link";
            join.scopes = [ "tty:*" ];
          }).systemd.services.alknet-join;
      in
      join.serviceConfig.LoadCredential == "link:/run/keys/hub-link"
      && join.unitConfig.ConditionPathExists == "!/var/lib/alknet-join/joined"
      && lib.hasInfix "'tty:*'" join.script;

    # Each assertion, once.
    "a passphrase in the store is refused" = refused [ "vault.passphraseFile" "/run/keys" ] (host {
      vault.passphraseFile = "${builtins.storeDir}/x-passphrase";
    });
    "a seed in the store is refused" = refused [ "vault.seedFile" "/run/keys" ] (host {
      vault.seedFile = "${builtins.storeDir}/x-seed";
    });
    "a link in the store is refused" = refused [ "join.linkFile" "/run/keys" ] (host {
      join.linkFile = "${builtins.storeDir}/x-link";
    });
    "a key in the store is refused" = refused [ ''tls.certificates.hub.key'' ] (host {
      tls.certificates.hub = {
        certificate = "/etc/ssl/hub.pem";
        key = "${builtins.storeDir}/x-key";
      };
    });
    "a credential in the store is refused" = refused [ ''credentials.client.key'' ] (host {
      credentials."client.key" = "${builtins.storeDir}/x-key";
    });
    "a token in the place of its hash is refused, and not repeated" =
      let
        config = host { peers.alice.token_sha256 = "alk_not-a-secret"; };
      in
      refused [ "peers.alice.token_sha256" "sha256sum" "revoke" ] config
      && !(lib.hasInfix "not-a-secret" (lib.head (failed config)));
    "two sources of the seed are refused" = refused [ "passphraseFile, seedFile" ] (host {
      vault.passphraseFile = "/run/keys/a";
      vault.seedFile = "/run/keys/b";
    });
    "no source of the seed is refused" = refused [ "no source of the seed" ] (host {
      vault.generate = false;
    });
    "two handlers with one ALPN are refused" = refused [ "http and mine" ''"h2"'' ] (host {
      # A package of somebody's own, with one more handler.
      package = lean // {
        handlers = [
          "call"
          "http"
          "mine"
        ];
      };
      handlers.mine = {
        enable = true;
        alpns = [ "h2" ];
      };
    });
    "a port without the privilege is refused" =
      refused [ "[::]:80" "services.alknet.port = 80" ]
        (host {
          port = 4433;
          settings.endpoint.listen = [
            "[::]:4433"
            "[::]:80"
          ];
        });
    "a handler that the package lacks is refused" = refused [ "handlers.tty" "call, http" ] (host {
      package = lean;
      handlers.tty.enable = true;
    });
    "two instances on one port are refused" =
      refused [ "services.alknet.port and services.alknet.instances.lab.port are all 443" ]
        (host {
          instances.lab.enable = true;
        });
    "a certificate that nobody renews is refused" = refused [ ''security.acme.certs."no.example"'' ] (
      (evaluate [
        renewed
        {
          services.alknet.enable = true;
          services.alknet.tls.acmeHosts = [ "no.example" ];
        }
      ]).config
    );

    "a node that serves nothing is warned of" =
      lib.length
        (host {
          handlers.call.enable = false;
          handlers.http.enable = false;
        }).warnings == 1;
    "terminals without a program are warned of" =
      lib.length
        (host {
          handlers.tty.enable = true;
          handlers.tty.settings.commands = lib.mkForce [ ];
        }).warnings == 1;
  };
in
{
  count = lib.length (lib.attrNames cases);
  failures = lib.attrNames (lib.filterAttrs (_: holds: !holds) cases);
}
