module github.com/tokenboundary/tokenboundary/internal/hostile

go 1.26.4

require (
	github.com/benbjohnson/clock v1.3.5
	github.com/c2sp/wycheproof v0.0.0-20260902155932-3fa63dd0344a
	github.com/stretchr/testify v1.12.1
	github.com/tokenboundary/tokenboundary v0.0.0
)

require (
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
)

replace github.com/tokenboundary/tokenboundary => ../../
