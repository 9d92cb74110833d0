{
  description = "alknet: a networking toolkit that you host yourself, in which a service is an ALPN";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      pkgsFor = system: nixpkgs.legacyPackages.${system}.extend self.overlays.default;
      forEach = outputs: lib.genAttrs systems (system: outputs (pkgsFor system));
      appliances = import ./nixos/appliance/systems.nix { inherit self nixpkgs; };
      tests = pkgs: import ./nixos/tests { inherit lib nixpkgs pkgs; };
    in
    {
      overlays.default = import ./nixos/overlay.nix;

      nixosModules = {
        default = self.nixosModules.alknet;
        alknet = import ./nixos/module.nix;
        appliance = import ./nixos/appliance;
      };

      nixosConfigurations = appliances.configurations;

      packages = forEach (
        pkgs:
        {
          default = pkgs.alknet;
          inherit (pkgs)
            alknet
            alknet-call
            alknet-http
            alknet-tty
            ;
          docs = (tests pkgs).options.document;
        }
        // appliances.images pkgs.stdenv.hostPlatform.system
      );

      apps = forEach (
        pkgs:
        let
          alknet = {
            type = "app";
            program = lib.getExe pkgs.alknet;
            meta.description = "The alknet program";
          };
        in
        {
          inherit alknet;
          default = alknet;
        }
      );

      checks = forEach (pkgs: import ./nixos/checks.nix { inherit lib nixpkgs pkgs self; });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell { packages = import ./nixos/tools.nix pkgs; };
      });

      formatter = forEach (pkgs: pkgs.nixfmt-tree or pkgs.nixfmt-rfc-style);

      # What nixos/tests/evaluate compares with what is committed; plain values, so that nothing has to be built.
      lib.evaluation = forEach (pkgs: (tests pkgs).evaluation);
    };
}
