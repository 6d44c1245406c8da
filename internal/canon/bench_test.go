package canon

import (
	"encoding/json"
	"strings"
	"testing"
)

const benchHeader = `{"alg":"ES256","typ":"at+jwt","kid":"Pk9tVbZpC3YqD5eW8r2uXo1mGh6sJn4aLf7cTi0vKEy"}`

const benchPayload = `{"iss":"https://idp.example.com/realms/acme","sub":"0f8fad5b-d9cb-469f-a165-70867728950e","aud":["https://boundary.example.com","account"],` +
	`"exp":1772370300,"iat":1772370000,"nbf":1772370000,"auth_time":1772366400,"jti":"3b241101-e2bb-4255-8caf-4136c566a962","azp":"support-bot",` +
	`"typ":"Bearer","acr":"urn:mfa","amr":["pwd","otp"],"sid":"5a8f9d30-1c5e-4d0c-8a3b-1f5b7d2e9c44","scope":"openid profile email cases:read",` +
	`"act":{"sub":"crm-tool","act":{"sub":"planner"}},"realm_access":{"roles":["offline_access","support"]},"email_verified":true,` +
	`"name":"Alice Example","preferred_username":"alice","email":"alice@example.com"}`

func benchKeys() string {
	keys := strings.Repeat(`,{"kty":"RSA","use":"sig","alg":"RS256","kid":"2f4c9e7d1b","e":"AQAB","n":"`+strings.Repeat("xY3_", 86)+`"}`, 6)
	return `{"keys":[` + keys[1:] + "]}"
}

func BenchmarkObject(b *testing.B) {
	for name, text := range map[string]string{"header": benchHeader, "payload": benchPayload, "keys": benchKeys()} {
		raw := []byte(text)
		run := func(how string, f func() error) {
			b.Run(name+"/"+how, func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("object", func() error { _, err := Object(raw); return err })
		run("json", func() error { _, err := JSON(raw); return err })
		run("decoder", func() error {
			out, err := byDecoder(raw)
			var members map[string]json.RawMessage
			if err == nil {
				err = json.Unmarshal(out, &members)
			}
			return err
		})
	}
}
