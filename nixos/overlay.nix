# The program, and its lean variants: the call protocol is in each.
final: _: {
  alknet = final.callPackage ./package.nix { };
  alknet-call = final.callPackage ./package.nix { handlers = [ ]; };
  alknet-http = final.callPackage ./package.nix { handlers = [ "http" ]; };
  alknet-tty = final.callPackage ./package.nix { handlers = [ "tty" ]; };
}
