# systemd's own judgement of the units: nothing to complain of, and an exposure of 1.5 at most.
{ lib, pkgs }:
pkgs.runCommand "alknet-confinement"
  {
    nativeBuildInputs = [
      pkgs.systemd
      pkgs.alknet
    ];
  }
  ''
    bash ${./confinement.sh} ${lib.getExe pkgs.alknet} ${../units}/*.service
    touch $out
  ''
