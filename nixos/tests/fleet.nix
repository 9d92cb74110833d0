# The machines of a scenario (vm-tests/*/fleet.toml) as NixOS hosts, by the module's options alone. `nextPackage` is what a next
# generation runs: it stands at another place in the store, as a newer program would.
{ lib, nextPackage }:
folder:
let
  fleet = lib.importTOML (folder + "/fleet.toml");
  handlers = lib.attrNames (import ../handlers.nix { pkgs = throw "only their names are asked for"; });

  peer =
    entry:
    let
      other = fleet.machines.${entry.machine};
      own = removeAttrs entry [
        "machine"
        "id"
      ];
    in
    lib.nameValuePair (entry.id or entry.machine) (
      lib.optionalAttrs (entry ? machine) { fingerprints = [ other.fingerprint ]; } // own
    );

  options =
    name: machine: settings:
    {
      handlers = lib.genAttrs handlers (
        handler:
        let
          section = settings.${handler} or { };
        in
        {
          enable = section.enable or false;
          settings = removeAttrs section [ "enable" ];
        }
      );
      peers = lib.listToAttrs (map peer (machine.peers or [ ]));
      hub.reexport = settings.hub.reexport or [ ];
      import = lib.listToAttrs (
        map (entry: lib.nameValuePair entry.name (removeAttrs entry [ "name" ])) (settings.import or [ ])
      );
      settings = {
        node.name = name;
      }
      // removeAttrs settings (
        handlers
        ++ [
          "hub"
          "import"
        ]
      );
    };

  host = name: machine: {
    services.alknet = {
      enable = true;
      port = 4433;
      openFirewall = true;
      log = machine.log or "info";
      vault.seedFile = "/etc/alknet/seed";
    }
    // options name machine (machine.settings or { });

    # A script may edit the configuration and reload; it is whole again at the next boot.
    environment.etc."alknet/alknet.toml".mode = "0644";
    environment.etc."alknet/seed" = {
      text = builtins.hashString "sha512" machine.seed;
      mode = "0600";
    };
    # A user's machine has a key and a configuration, and no node that would serve nothing.
    systemd.services.alknet.wantedBy = lib.mkIf (!(machine.serve or true)) (lib.mkForce [ ]);
    warnings = lib.mkIf (!(machine.serve or true)) (lib.mkForce [ ]);
  };

  # The next generation of a machine, which a script switches to.
  nextOptions =
    name: machine:
    lib.mapAttrsRecursive (_: lib.mkForce) (options name machine machine.next.settings)
    // {
      package = lib.mkForce nextPackage;
    };
  next = name: machine: {
    specialisation.next.configuration.services.alknet = nextOptions name machine;
  };
in
{
  inherit (fleet) description;
  inherit fleet folder;
  hosts = lib.mapAttrs (
    name: machine: [ (host name machine) ] ++ lib.optional (machine ? next) (next name machine)
  ) fleet.machines;

  # Each host that runs a node, and each of its generations, with the settings that they were made from.
  generations = lib.concatMap (
    name:
    let
      machine = fleet.machines.${name};
      first = {
        inherit (machine) settings;
        modules = [ (host name machine) ];
      };
      second = {
        inherit (machine.next) settings;
        modules = [
          (host name machine)
          { services.alknet = nextOptions name machine; }
        ];
      };
    in
    lib.optionals (machine.serve or true) ([ first ] ++ lib.optional (machine ? next) second)
  ) (lib.attrNames fleet.machines);
}
