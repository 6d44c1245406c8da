module github.com/tokenboundary/tokenboundary/hosts/goidc

go 1.26.0

require (
	github.com/benbjohnson/clock v1.3.5
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/luikyv/go-oidc v0.23.0
	github.com/stretchr/testify v1.12.1
	github.com/tokenboundary/tokenboundary v0.0.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
)

replace github.com/tokenboundary/tokenboundary => ../..
