/* A program with objects of every kind that copies itself, and says what is referred to by
 * whom: the copy is a raw fork that stops itself, the parent answers for the same heap.
 *
 *   PID CUT                     of the copy; the address of a list whose length is wrong in it
 *   ADDRESS TYPE REFERENT...    of every tracked object, from gc.get_referents()
 *   referrers ADDRESS...        of frames that execute, left out everywhere
 *   ADDRESS REFERRER...         of some: tracked objects, from gc.get_referrers(), no repetitions
 *   end
 *
 * It ends the copy and itself when it is sent a line. */
#ifndef TESTS_UNIT_REFERENCES_H
#define TESTS_UNIT_REFERENCES_H

extern const char references_script[];

#endif
