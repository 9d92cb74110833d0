# What every machine of a scenario has: the clients that the scripts use, and the commands that a harness owes them.
{ pkgs, ... }:
{
  environment.systemPackages = [
    pkgs.curl
    pkgs.openssl
    pkgs.procps
    pkgs.python3
    (pkgs.writeShellScriptBin "next-generation" ''
      exec /run/current-system/specialisation/next/bin/switch-to-configuration test
    '')
  ];
  # Terminals of the scripts run /bin/sh, which NixOS has.
  virtualisation.memorySize = 512;
}
