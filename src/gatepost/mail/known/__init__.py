"""Tables of well-known names: brands, shorteners, redirectors, mail providers, hosts for anybody's pages. Written by hand."""
