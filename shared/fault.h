/*
 * Points in the work on shared memory at which a process can be made to die,
 * so that tests see what its death leaves behind (make faults). In any other
 * build there is nothing at these points.
 *
 * One row is one point: name, and what has just been done there.
 */
#ifndef TOCSIN_FAULT_H
#define TOCSIN_FAULT_H

#define TOCSIN_FAULTS(X)                                                       \
    X(RECORD, "a record's bytes stand in the ring, its header does not")       \
    X(PUT, "a record is in the ring, the state does not cover it")             \
    X(STATE, "the spare state is written, the old one is true")                \
    X(PUBLISHED, "the state is published, nothing was sent")                   \
    X(SENT, "records were sent, nothing was acknowledged")                     \
    X(SETTLED, "a record is marked as settled, the state counts it")           \
    X(LEASED, "a slot is leased, its ring was not opened")                     \
    X(OPENED, "a ring is opened, the slot does not say it is at work")         \
    X(ADOPTED, "the slot of a dead worker is leased, its ring not opened")     \
    X(RELEASING, "a slot is no longer at work, but leased")                    \
    X(FEED, "the lease of the board is taken, its beat is the old one")        \
    X(BOARD, "half of a document is written to the board")                     \
    X(SIDE, "a document is whole, readers still go to the other side")         \
    X(TURNED, "readers go to the new side, its version is not counted")

#ifdef TOCSIN_FAULT_POINTS

enum tocsin_fault {
#define X(NAME, help) TOCSIN_FAULT_##NAME,
    TOCSIN_FAULTS(X)
#undef X
        TOCSIN_FAULT_COUNT
};

/* Does not return if this process is to die here. Not part of shared/: who
 * builds with fault points brings it along. */
void tocsin_fault_reached(enum tocsin_fault fault);

#define tocsin_fault(NAME) tocsin_fault_reached(TOCSIN_FAULT_##NAME)

#else

#define tocsin_fault(NAME)

#endif

#endif
