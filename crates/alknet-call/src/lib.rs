//! The call protocol of alknet: named operations over any connection
