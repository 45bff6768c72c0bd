"""What kind of day it is: sessions, day types, stage times; pure rules over given data."""
