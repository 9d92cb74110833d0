# The appliance as configurations and images, for each platform.
{ self, nixpkgs }:
let
  inherit (nixpkgs) lib;
  platforms = {
    appliance = "x86_64-linux";
    appliance-aarch64 = "aarch64-linux";
  };

  # With further modules, which a test has.
  make =
    more:
    let
      system =
        platform: modules:
        lib.nixosSystem {
          system = platform;
          modules = [
            self.nixosModules.appliance
            {
              nixpkgs.overlays = [ self.overlays.default ];
              # A newer appliance is one that was made of a newer tree.
              appliance.serial = self.lastModified or 0;
            }
          ]
          ++ more
          ++ modules;
        };
    in
    rec {
      installed = platform: system platform [ ./installed.nix ];
      live =
        platform:
        system platform [
          ./iso.nix
          { appliance.installs = (installed platform).config.system.build.toplevel; }
        ];
      disk = platform: system platform [ ./image.nix ];
    };
  released = make [ ];
in
{
  inherit make;

  configurations =
    lib.mapAttrs (_: released.installed) platforms
    // lib.mapAttrs' (
      name: platform: lib.nameValuePair "${name}-live" (released.live platform)
    ) platforms;

  images = platform: rec {
    iso = (released.live platform).config.system.build.isoImage;
    image-raw = (released.disk platform).config.system.build.image;
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
