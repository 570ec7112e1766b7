//! [`Move`]: a step, and what undoes it. A plan is a list of them.
//!
//! What undoes a step is right also where the step was not made, or half made. So a card is given back by
//! undoing the whole plan from its end, however much of it was carried out.

use crate::{Saved, Step};

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What is done.
    pub step: Step,
    /// What undoes it, in order.
    pub undo: Vec<Step>,
}

/// A move that nothing has to undo.
fn only(step: Step) -> Move {
    Move { step, undo: Vec::new() }
}

impl Saved {
    /// The moves that take the card from the kernel's driver. With the driver the card's interface
    /// disappears, and all that the interface had.
    pub fn card(&self) -> Vec<Move> {
        let device = || self.device.clone();
        let overridden = Step::Override(device(), self.overridden.clone());
        vec![
            only(Step::Load(self.to.clone())),
            Move { step: Step::Override(device(), Some(self.to.clone())), undo: vec![overridden] },
            Move { step: Step::Unbind(device(), self.driver.clone()), undo: self.restored() },
            Move {
                step: Step::Bind(device(), self.to.clone()),
                undo: vec![Step::Unbind(device(), self.to.clone()), Step::Override(device(), None)],
            },
        ]
    }

    /// The steps that make the card and its interface as they were, as soon as no other driver has the card.
    fn restored(&self) -> Vec<Step> {
        let name = || self.card.clone();
        let mut steps = vec![
            Step::Load(self.driver.clone()),
            Step::Bind(self.device.clone(), self.driver.clone()),
            Step::Await(self.device.clone(), name()),
            Step::Mac(name(), self.settings.mac),
            Step::Mtu(name(), self.settings.mtu),
            Step::Up(name(), self.settings.up),
        ];
        steps.extend(self.settings.addresses.iter().map(|address| Step::Address(name(), address.clone())));
        // An interface that is down has no routes.
        let routes = self.in_order().filter(|_| self.settings.up);
        steps.extend(routes.map(|route| Step::Route(name(), route)));
        steps.extend(self.settings.groups.iter().map(|group| Step::Group(name(), *group)));
        steps
    }

    /// The moves that give the other interface all that the card's had, apart from the MAC address. lmd sets
    /// that before, and the user may have chosen another one.
    pub fn interface(&self) -> Vec<Move> {
        let name = || self.tap.clone();
        let down = if self.tap_was_up { Vec::new() } else { vec![Step::Up(name(), false)] };
        let mut moves = vec![Move { step: Step::Up(name(), true), undo: down }];
        for address in &self.settings.addresses {
            let address = address.labelled(&self.card, &self.tap).at_once();
            let undo = vec![Step::NoAddress(name(), address.clone())];
            moves.push(Move { step: Step::Address(name(), address), undo });
        }
        for route in self.in_order() {
            let undo = vec![Step::NoRoute(name(), route.clone())];
            moves.push(Move { step: Step::Route(name(), route), undo });
        }
        for group in &self.settings.groups {
            let undo = vec![Step::NoGroup(name(), *group)];
            moves.push(Move { step: Step::Group(name(), *group), undo });
        }
        moves.extend(self.settings.joins.iter().map(|group| only(Step::Join(name(), *group))));
        moves
    }

    /// The routes, those to a link before those through a gateway on it.
    fn in_order(&self) -> impl Iterator<Item = crate::Route> {
        let mut routes = self.settings.routes.clone();
        routes.sort_by_key(crate::Route::is_indirect);
        routes.into_iter()
    }

    /// All moves: those of [`Saved::card`], and then those of [`Saved::interface`].
    pub fn all(&self) -> Vec<Move> {
        [self.card(), self.interface()].concat()
    }
}
