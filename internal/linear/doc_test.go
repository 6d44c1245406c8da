// Package linear_test checks that what a store answers to many clients at once could have been answered to them one after the
// other: that it is linearizable. Clients revoke, issue, exchange, refresh and introspect as the boundary does; each call is
// recorded with when it was made and when it returned, and Porcupine looks for an order of them that store.Apply explains.
//
// What storetest asks of a store it asks about one rule at a time. Here no rule is asked about: whatever was seen must fit.
//
// TOKENBOUNDARY_LINEAR_SEED repeats what the clients draw, and TOKENBOUNDARY_LINEAR_ROUNDS says how many histories of each
// store are checked.
package linear_test
