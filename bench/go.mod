module github.com/tokenboundary/tokenboundary/bench

go 1.26.0

require github.com/tokenboundary/tokenboundary v0.0.0

require (
	github.com/benbjohnson/clock v1.3.5 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)

replace github.com/tokenboundary/tokenboundary => ../
