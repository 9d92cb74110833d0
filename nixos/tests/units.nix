# The texts of the units that the scenario runner starts, by the handlers that they serve, and what is looked at beside them.
{
  lib,
  evaluate,
  scenarios,
}:
let
  package = {
    type = "derivation";
    name = "alknet";
    outPath = "@alknet@";
    meta.mainProgram = "alknet";
  };

  # What the host adds to every unit, and what names the build of a configuration, is not the module's.
  isOurs =
    line:
    !(lib.any (prefix: lib.hasPrefix prefix line) [
      ''Environment="LOCALE_ARCHIVE=''
      ''Environment="PATH=''
      ''Environment="TZDIR=''
      "X-Reload-Triggers="
      "X-Restart-Triggers="
      "X-RestartIfChanged="
      "X-StopIfChanged="
    ]);
  # The program that sends the signal is the same everywhere.
  kill = line: lib.concatStrings (lib.filter lib.isString (builtins.split "/nix/store/[^/]*coreutils[^/]*" line));
  normal =
    text: lib.concatMapStringsSep "\n" kill (lib.filter isOurs (lib.splitString "\n" text));

  text =
    modules:
    let
      host = evaluate (modules ++ [ { services.alknet.package = lib.mkOverride 10 package; } ]);
    in
    builtins.unsafeDiscardStringContext (normal host.config.systemd.units."alknet.service".text);

  name =
    settings:
    lib.concatStringsSep "-" (
      lib.filter (section: settings.${section}.enable or false) (lib.attrNames settings)
    );

  # Of each machine in each scenario; equal handlers have to give equal units, whatever else is configured.
  ofScenarios = map (generation: {
    name = name generation.settings;
    value = text (generation.modules ++ [ { services.alknet.log = lib.mkForce "info"; } ]);
  }) (lib.concatMap (scenario: scenario.generations) scenarios);
  byHandlers = lib.mapAttrs (_: units: lib.unique (map (unit: unit.value) units)) (
    lib.groupBy (unit: unit.name) ofScenarios
  );
in
lib.mapAttrs (
  name: texts:
  if lib.length texts == 1 then
    lib.head texts
  else
    throw "machines that serve ${name} get different units: what differs has to be a part of the unit's name"
) byHandlers
// {
  # What a host has that says no more than services.alknet.enable = true.
  default = text [ { services.alknet.enable = true; } ];
}
