package config_test

import (
	"fmt"

	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
)

// A mistake is reported where it stands.
func ExampleParse() {
	_, err := config.Parse("boundary.yaml", []byte("issuer: https://as.example\nlisten: 8911\n"))
	fmt.Println(err)
	// Output: boundary.yaml:2: listen: must be a string
}
