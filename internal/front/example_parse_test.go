package front_test

import (
	"fmt"

	"github.com/tokenboundary/tokenboundary/internal/front"
)

func ExampleParse() {
	tok, err := front.Parse("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSJ9.c2lnIQ")
	fmt.Println(tok.Alg, tok.Typ, string(tok.Payload), err)
	_, err = front.Parse("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2lnIQ")
	fmt.Println(err)
	// Output:
	// ES256 jwt {"sub":"alice"} <nil>
	// not an acceptable token: algorithm is not allowed
}
