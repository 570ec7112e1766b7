def restart(guest): raise NotImplementedError
