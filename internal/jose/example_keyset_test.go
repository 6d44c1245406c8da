package jose_test

import (
	"fmt"

	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// The token and the key of RFC 7515, appendix A.3.
func ExampleVerify() {
	set, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"joe",
		"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil {
		panic(err)
	}
	tok, err := front.Parse("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt" +
		"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
	if err != nil {
		panic(err)
	}
	for _, key := range set.Find(tok.Kid, tok.Alg, "sig") {
		fmt.Println(key.ID, jose.Verify(tok, key, "ES256"))
		fmt.Println(key.ID, jose.Verify(tok, key, "RS256"))
	}
	// Output:
	// joe <nil>
	// joe algorithm is not allowed for this key
}
