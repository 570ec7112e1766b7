def both_ways(guest): raise NotImplementedError
