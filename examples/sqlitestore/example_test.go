package sqlitestore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/examples/sqlitestore"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
)

const crm = "https://crm.example.com/"

// A boundary keeps its state in the store, and what it revoked before a restart is revoked after it.
func Example() {
	dir, err := os.MkdirTemp("", "sqlitestore")
	check(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	for _, what := range []string{"first start", "restart"} {
		store, err := sqlitestore.Open(ctx, filepath.Join(dir, "boundary.db"))
		check(err)
		boundary := boundaryOn(ctx, store)
		token, err := boundary.Issue(ctx, tb.Request{
			Grant: tb.ClientCredentials, Client: tb.Credential{Verified: &tb.Principal{Party: lineage.Party{ID: "support-bot"}}},
			Resource: []string{crm}, Scopes: []string{"cases:read"},
		})
		fmt.Println(what+":", token.Scopes, err)
		_, err = boundary.Revoke(ctx, tb.Client{ID: "ops", Kind: tb.KindOperator}, lineage.Revocation{
			Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "support-bot"}, Action: lineage.Block,
		})
		check(err)
		check(store.Close())
	}
	// Output:
	// first start: [cases:read] <nil>
	// restart: [] tokenboundary: denied: unauthorized_client
}

// boundaryOn returns a boundary that lets support-bot read cases for a minute.
func boundaryOn(ctx context.Context, store *sqlitestore.Store) *tb.Governor {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	minter, err := mint.Open(ctx, mint.Config{Issuer: issuer, Store: store, Signer: key})
	check(err)
	boundary, err := tb.New(tb.Config{
		Issuer: issuer, Store: store, Minter: minter,
		Clients: tb.ClientMap{"support-bot": {
			ID: "support-bot", Kind: tb.KindAgent, Connections: []string{"crm"}, Grants: []tb.Grant{tb.ClientCredentials},
		}},
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
			return tb.Verdict{
				Effect: tb.Allow, Path: "/support-bot/crm", Resources: f.Resources, Lifetime: time.Minute,
				Access: []lineage.Access{{Resource: crm, Scopes: []string{"cases:read"}}},
			}, nil
		}),
	})
	check(err)
	return boundary
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
