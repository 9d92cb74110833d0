//! What a client without a token gets: a stock web server, as far as it can tell.
