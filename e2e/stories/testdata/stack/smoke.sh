# It keeps what it was asked to test, and fails where a file says so.
echo "$CLOUDSHIP_GROUP $CLOUDSHIP_TEST_URL" >> tested
! test -e fail
