# The appliance as configurations and images, for each platform.
{ self, nixpkgs }:
let
  inherit (nixpkgs) lib;
  platforms = {
    appliance = "x86_64-linux";
    appliance-aarch64 = "aarch64-linux";
  };

  system =
    platform: modules:
    lib.nixosSystem {
      system = platform;
      modules = [
        self.nixosModules.appliance
        { nixpkgs.overlays = [ self.overlays.default ]; }
        {
          # A newer appliance is one that was made of a newer tree.
          appliance.serial = self.lastModified or 0;
        }
      ]
      ++ modules;
    };
  installed = platform: system platform [ ./installed.nix ];
  live =
    platform:
    system platform [
      ./iso.nix
      { appliance.installs = (installed platform).config.system.build.toplevel; }
    ];
  image = platform: (system platform [ ./image.nix ]).config.system.build.image;
in
{
  configurations =
    lib.mapAttrs (_: installed) platforms
    // lib.mapAttrs' (name: platform: lib.nameValuePair "${name}-live" (live platform)) platforms;

  images = platform: rec {
    iso = (live platform).config.system.build.isoImage;
    image-raw = image platform;
    image-qcow2 =
      let
        inherit (nixpkgs.legacyPackages.${platform}) runCommand qemu-utils;
      in
      runCommand "alknet-appliance-qcow2" { nativeBuildInputs = [ qemu-utils ]; } ''
        mkdir $out
        qemu-img convert -O qcow2 -c ${image-raw}/*.raw $out/alknet-appliance.qcow2
      '';
  };
}
