module github.com/tokenboundary/tokenboundary/internal/crash

go 1.26.4

require (
	github.com/benbjohnson/clock v1.3.5
	github.com/jackc/pgx/v5 v5.12.0
	github.com/stretchr/testify v1.12.1
	github.com/tokenboundary/tokenboundary v0.0.0
	github.com/tokenboundary/tokenboundary/store/postgres v0.0.0
	golang.org/x/sys v0.45.0
)

require (
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace (
	github.com/tokenboundary/tokenboundary => ../../
	github.com/tokenboundary/tokenboundary/store/postgres => ../../store/postgres
)
