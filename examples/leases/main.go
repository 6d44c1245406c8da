// Leases is an agent that reads a PostgreSQL database for one task. A broker makes an account for it, which is a lease: a node
// of the lineage below the agent's token. When the task is complete, the account is gone and its connections are cut.
//
// It needs a server: that of TOKENBOUNDARY_TEST_POSTGRES, or one at 127.0.0.1:5432. It takes away what it has made there.
//
//	go run ./examples/leases
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// sales is the name of the database. Clients ask for tokens for it.
const sales = "https://sales.example.com/"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	db, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close(context.WithoutCancel(ctx))) }()
	g, self, err := newBoundary(ctx, memory.New())
	if err != nil {
		return err
	}
	b, err := broker.New(broker.Config{
		Governor:  g,
		Client:    tokenboundary.Client{ID: "sales-db", Kind: tokenboundary.KindResource, Resource: sales, Connections: []string{"sales"}},
		Providers: map[string]broker.Provider{"sales": accounts{db.pool, map[string]string{"orders:read": db.schema}}},
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = b.Run(running) // it ends with the context
	}()
	defer func() {
		stop()
		<-stopped
	}()

	// The agent has a task, and a token for the database. It gives the token for an account.
	session, err := agent.Start(ctx, agent.Config{Boundary: agent.Local{Governor: g, Client: self}, Task: tokenboundary.TaskSpec{
		Purpose: "quarterly report", Authority: []lineage.Access{{Resource: sales, Scopes: []string{"orders:read"}}},
	}})
	if err != nil {
		return err
	}
	token, err := session.Token(ctx, agent.Call{Resource: sales, Scopes: []string{"orders:read"}})
	if err != nil {
		return err
	}
	lease, account, err := leased(ctx, b, token.AccessToken)
	if err != nil {
		return err
	}
	conn, err := db.login(ctx, account.Value("username"), account.Value("password"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server has closed it
	var euros int
	if err := conn.QueryRow(ctx, "SELECT sum(euros) FROM "+quoted(db.schema)+".orders").Scan(&euros); err != nil {
		return err
	}
	_, writing := conn.Exec(ctx, "DELETE FROM "+quoted(db.schema)+".orders")
	there, err := db.exists(ctx, account.Value("username"))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "in the task: read %d euros, may delete: %t, account there: %t\n", euros, writing == nil, there)

	if err := session.Complete(ctx); err != nil {
		return err
	}
	<-lease.Done()
	for b.Outstanding().Leases > 0 || there { // Run takes it back as soon as it learns that the task is over
		if there, err = db.exists(ctx, account.Value("username")); err != nil {
			return err
		}
	}
	_, reading := conn.Exec(ctx, "SELECT 1")
	_, again := db.login(ctx, account.Value("username"), account.Value("password"))
	_, err = fmt.Fprintf(out, "after the task: connection cut: %t, login refused: %t, account there: %t\n", reading != nil, again != nil, there)
	return err
}

// leased is what a service in front of the database does with a token that is presented to it.
func leased(ctx context.Context, b *broker.Broker, token string) (*broker.Lease, broker.Secret, error) {
	lease, err := b.Lease(ctx, tokenboundary.LeaseRequest{
		Token: tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: token}, Scopes: []string{"orders:read"}, Deliver: true,
	})
	if err != nil {
		return nil, broker.Secret{}, err
	}
	account, err := lease.Deliver(ctx)
	return lease, account, err
}
